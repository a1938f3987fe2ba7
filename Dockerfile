# Training on a CPU, by the pinned versions. docs/install.md says how to use it.
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt '/src[train,math]' && rm -r /src
RUN useradd --create-home --uid 1000 mtgrpo
USER mtgrpo
WORKDIR /home/mtgrpo
ENV OMP_WAIT_POLICY=PASSIVE
ENTRYPOINT ["mtgrpo"]
CMD ["--help"]
