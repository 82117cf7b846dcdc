# libmemattach.so: the libraries that read a snapshot and answer questions about it, for other programs. It exports what
# the headers below declare and nothing else (tests/library).
set(ma_library_parts ma_graph ma_format ma_base)
set(ma_library_headers error types snapshot objects diff wire)
set_target_properties(${ma_library_parts} PROPERTIES POSITION_INDEPENDENT_CODE ON)
set(objects "")
foreach(part ${ma_library_parts})
  target_compile_options(${part} PRIVATE -fno-semantic-interposition)
  list(APPEND objects $<TARGET_OBJECTS:${part}>)
endforeach()
add_library(libmemattach SHARED ${objects})
set_target_properties(libmemattach PROPERTIES OUTPUT_NAME memattach LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_libraries(libmemattach PRIVATE ${ma_library_parts} ma_options) # for what these link themselves
target_link_options(libmemattach PRIVATE -Wl,-Bsymbolic-functions -Wl,-z,relro,-z,now)
target_include_directories(libmemattach INTERFACE ${PROJECT_SOURCE_DIR}/include)
