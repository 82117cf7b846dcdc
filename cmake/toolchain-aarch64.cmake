# Compiles for aarch64 with Debian's cross compiler: cmake --toolchain cmake/toolchain-aarch64.cmake -DMA_TESTS=OFF.
# Libraries are compiled, nothing is linked against libdw and the like: their headers are the same on every
# machine, so those of this one serve, through a folder of links that has no header of libc in it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_OBJCOPY aarch64-linux-gnu-objcopy)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

set(links ${CMAKE_BINARY_DIR}/host-include)
file(MAKE_DIRECTORY ${links})
foreach(header elfutils dwarf.h libelf.h gelf.h zstd.h zstd_errors.h xxhash.h xxh3.h jansson.h jansson_config.h sqlite3.h libssh)
  if(EXISTS /usr/include/${header})
    file(CREATE_LINK /usr/include/${header} ${links}/${header} SYMBOLIC)
  endif()
endforeach()
# OpenSSL's are in two folders
file(GLOB openssl /usr/include/openssl/*.h /usr/include/*/openssl/*.h)
file(MAKE_DIRECTORY ${links}/openssl)
foreach(header ${openssl})
  cmake_path(GET header FILENAME name)
  file(CREATE_LINK ${header} ${links}/openssl/${name} SYMBOLIC)
endforeach()
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES ${links})
