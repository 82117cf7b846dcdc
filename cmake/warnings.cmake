# The warnings of every target of ours; errors with MA_WERROR (CI).
add_library(ma_options INTERFACE)
target_compile_options(ma_options INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
  -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wconversion -Wno-sign-conversion -fvisibility=hidden)
target_compile_definitions(ma_options INTERFACE _GNU_SOURCE MA_VERSION="${PROJECT_VERSION}")
if(MA_WERROR)
  target_compile_options(ma_options INTERFACE -Werror)
endif()
if(MA_SANITIZE)
  target_compile_options(ma_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(ma_options INTERFACE -fsanitize=address,undefined)
endif()
if(MA_COVERAGE)
  target_compile_options(ma_options INTERFACE --coverage)
  target_link_options(ma_options INTERFACE --coverage)
endif()
