# What holds a pod's namespaces open: one static program, compiled beside this file.
FROM scratch
COPY pause /pause
USER 65532:65532
ENTRYPOINT ["/pause"]
