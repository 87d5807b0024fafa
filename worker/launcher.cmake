# Messages between the processes of one worker: what hosts, launcher and session all speak.
add_library(worker_link STATIC link.c link_receive.c)
target_link_libraries(worker_link PUBLIC tri_proto)

# The launcher and the zygote, and the session's end of them. Whoever links this gives host_main
# and the registry (worker/host.h, worker/registry.h).
add_library(worker_launcher STATIC
    launcher.c
    launcher_channel.c
    launcher_child.c
    launcher_children.c
    launcher_command.c
    launcher_host.c
    launcher_launch.c
    launcher_main.c
    launcher_spawn.c
    launcher_tree.c
    launcher_words.c
    zygote.c)
# It runs in a borrowed process, of which a sanitizer knows nothing.
set_source_files_properties(launcher_child.c PROPERTIES COMPILE_OPTIONS -fno-sanitize=all)
target_link_libraries(worker_launcher PUBLIC worker_link tri_value)
