# The engine alone: what a task costs with few and many batches and workers.
tri_bench(engine engine tri_proto)
