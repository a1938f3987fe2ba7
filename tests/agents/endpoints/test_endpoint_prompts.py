"""What is sent to a server: conversations as messages, what stands around them, and begun answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_server import faulty_server

from mtgrpo_env.agents.endpoints.openai_server import Api, Chat, Completions, OpenAIServer
from mtgrpo_env.agents.endpoints.policy import EndpointPolicy
from mtgrpo_env.agents.endpoints.prompts import WRITERS, ChatMessages, PaperText, PlainText
from mtgrpo_env.agents.endpoints.replies import CachedServer
from mtgrpo_env.chat import ChatFrame, ChatText, Message, continued, messages_of
from mtgrpo_env.chat_columns import chat_text
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.evaluation import evaluate_policy
from mtgrpo_env.paper_frame import framed

EXAMPLES = (
    (Message("user", "1+2?"), Message("assistant", "3")),
    (Message("user", "a, b?"), Message("assistant", "b, a")),
)
FRAME = ChatFrame("Be brief.", EXAMPLES)


def server_at(url: str, api: Api | None = None) -> OpenAIServer:
    return OpenAIServer("tiny", url, api=api or Chat(), fields={"seed": None})


def roles_and_contents(fields: object) -> list[tuple[str, str]]:
    assert isinstance(fields, dict)
    return [(message["role"], message["content"]) for message in fields["messages"]]


def test_a_chat_has_the_system_message_the_examples_of_its_task_and_its_turns() -> None:
    asked = continued("c, d?", "c, d", "No.")
    assert roles_and_contents(ChatMessages(FRAME)(asked, 1).fields) == [
        ("system", "Be brief."),
        *EXAMPLES[1],
        ("user", "c, d?"),
        ("assistant", "c, d"),
        ("user", "No."),
    ]


def test_an_episode_of_several_turns_is_sent_as_messages() -> None:
    suite = reason_suite(["guessing-easy"])
    with faulty_server(lambda _: r"\boxed{x}") as served:
        evaluate_policy(suite, EndpointPolicy(server_at(served.url)), suite.held_out(1))
    roles = [[role for role, _ in roles_and_contents(request)] for request in served.requests]
    assert roles[:3] == [["user"], ["user", "assistant", "user"], ["user", "assistant", "user", "assistant", "user"]]
    assert served.requests[1]["messages"][1]["content"] == r"\boxed{x}"


@pytest.mark.parametrize("asked", ["1+1?", ChatText("…", [Message("user", "1+1?"), Message("assistant", "I say")])])
def test_a_begun_answer_is_gone_on_with_and_is_part_of_the_response_if_an_option_began_it(asked: str) -> None:
    own = "I say" if isinstance(asked, ChatText) else ""
    with faulty_server(lambda begun: f" two, after {begun!r}") as served:
        policy = EndpointPolicy(server_at(served.url), ChatMessages(ChatFrame(prefill=" it is")))
        (text,), (reply,) = policy.act([asked], [0])
    begun = f"{own} it is"
    assert (text, reply.text) == (f" it is two, after {begun!r}", f" two, after {begun!r}")
    (request,) = served.requests
    assert roles_and_contents(request) == [("user", "1+1?"), ("assistant", begun)]
    assert (request["continue_final_message"], request["add_generation_prompt"]) == (True, False)


def test_a_text_is_gone_on_with_in_the_papers_frame_or_as_it_stands() -> None:
    frame, asked = ChatFrame(prefill=" I think"), continued("1+1?", " 3", "No.")
    paper, plain = PaperText(frame)(asked, 0), PlainText(frame)(asked, 0)
    assert paper.fields == {"prompt": framed(messages_of(asked)) + " I think"}
    assert plain.fields == {"prompt": "1+1? 3\nNo. I think"}
    assert paper.begun == plain.begun == " I think"
    with faulty_server(str.upper) as served:
        (text,), _ = EndpointPolicy(server_at(served.url, Completions()), PlainText(frame)).act(["1+1?"], [0])
    assert text == " I think1+1? I THINK"


def test_a_text_that_stands_alone_takes_no_frame() -> None:
    with pytest.raises(ValueError, match="need prompt chat or paper, got plain"):
        PlainText(FRAME)


@pytest.mark.parametrize("form", ["chat", "paper"])
def test_equal_observations_in_different_frames_are_asked_apart(form: str, tmp_path: Path) -> None:
    api = Chat() if form == "chat" else Completions()
    with faulty_server(str.upper) as served:
        server = CachedServer(server_at(served.url, api), tmp_path / "replies.sqlite")
        for frame in (ChatFrame(), FRAME, ChatFrame("Be brief."), ChatFrame(prefill="So"), ChatFrame()):
            EndpointPolicy(server, WRITERS[form](frame)).act(["1+1?"], [0])
        EndpointPolicy(server, WRITERS[form](FRAME)).act(["1+1?"], [1])
    assert (len(served.requests), server.hits) == (5, 1)


def test_equal_texts_of_different_messages_are_no_samples_of_one() -> None:
    one = chat_text([Message("system", "Now"), Message("user", "1+1?")])
    other = chat_text([Message("user", "Now\n\n1+1?")])
    assert one == other
    with faulty_server(str.upper) as served:
        server = OpenAIServer("tiny", served.url, api=Chat(), fields={})
        EndpointPolicy(server, concurrency=1).act([one, other], [0, 0])
        EndpointPolicy(server, concurrency=1).act([other, other], [0, 0])
    seeds = [request["seed"] for request in served.requests]
    assert seeds[1] == seeds[2]
    assert len({seeds[0], seeds[1], seeds[3]}) == 3
