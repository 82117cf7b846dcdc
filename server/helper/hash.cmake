# cmake -DFILE=... -DOUT=... -P hash.cmake: writes the SHA-256 of FILE as a C file; refuses a helper that is too large.
file(SHA256 ${FILE} hash)
file(SIZE ${FILE} bytes)
if(bytes GREATER 6000000)
  message(FATAL_ERROR "${FILE} has ${bytes} bytes; 6,000,000 is what may be copied to another machine")
endif()
file(WRITE ${OUT} "extern const char ma_helper_sha256[];\nconst char ma_helper_sha256[] = \"${hash}\";\n")
