"""Pages that live outside docs/: results and project files join the site, and links between all of them hold.

On disk a page links to the file that it means (`../benchmarks/results/samplers.md`), so that links work wherever the
repository is read. In the site docs/ is the root and the other files keep their path.
"""

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "benchmarks/*.md", "benchmarks/results/**/*.*")
_SHOWN = {".md", ".png", ".txt", ""}
_TARGET = re.compile(r"(\]\()([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            if path.suffix in _SHOWN:
                name = path.relative_to(ROOT).as_posix()
                files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Turn the links of a page from places in the repository to places in the site."""
    in_site = page.file.src_uri
    in_repository = in_site if page.file.src_dir == str(ROOT) else f"docs/{in_site}"

    def moved(link: re.Match[str]) -> str:
        opening, target = link.groups()
        if re.match(r"[a-z]+:", target):
            return link.group()
        meant = normpath(join(dirname(in_repository), target)).removeprefix("docs/")
        return opening + relpath(meant, dirname(in_site) or ".")

    return _TARGET.sub(moved, markdown)
