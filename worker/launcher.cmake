# Messages between the processes of one worker: what hosts, launcher and session all speak.
add_library(worker_link STATIC link.c link_receive.c)
target_link_libraries(worker_link PUBLIC tri_proto)
