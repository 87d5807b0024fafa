# How everything is compiled. The presets (CMakePresets.json) only set these options.
set(TRI_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them")
option(TRI_FUZZ "Build the libFuzzer programs (needs clang)" OFF)
option(TRI_COVERAGE "Instrument for gcov" OFF)
option(TRI_WERROR "Warnings are errors" ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

# Every target links tri_flags: warnings, sanitizers, the include roots.
add_library(tri_flags INTERFACE)
target_compile_definitions(tri_flags INTERFACE _GNU_SOURCE TRI_SOFTWARE_VERSION="${PROJECT_VERSION}")
target_include_directories(tri_flags INTERFACE ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/common/include ${PROJECT_SOURCE_DIR}/worker/include
    ${PROJECT_SOURCE_DIR}/client/include)
target_compile_options(tri_flags INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla -fno-common
    -fno-omit-frame-pointer -fstack-protector-strong)
# Assertions stay on in release: they are about our own bugs only.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
if(TRI_WERROR)
    target_compile_options(tri_flags INTERFACE -Werror)
endif()
if(TRI_SANITIZE)
    target_compile_options(tri_flags INTERFACE -fsanitize=${TRI_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(tri_flags INTERFACE -fsanitize=${TRI_SANITIZE})
endif()
if(TRI_FUZZ)
    target_compile_options(tri_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(tri_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(TRI_COVERAGE)
    target_compile_options(tri_flags INTERFACE --coverage)
    target_link_options(tri_flags INTERFACE --coverage)
endif()
