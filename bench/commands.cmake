# Commands: the bare loop, and the launcher alone.
tri_bench(limit_commands)
tri_bench(commands worker_launcher ${CMAKE_DL_LIBS})
target_sources(bench_commands PRIVATE ${PROJECT_SOURCE_DIR}/worker/registry.c)
