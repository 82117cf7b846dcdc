function(ma_library name)
  cmake_parse_arguments(A "" "DIR" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${A_DIR}/*.c)
  if(NOT sources)
    add_library(${name} INTERFACE)
    return()
  endif()
  add_library(${name} STATIC ${sources})
  # Public headers are include/memattach. A folder of headers is seen only by the libraries that
  # link it, so a wrong arrow does not compile; header names are therefore unique in the tree.
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/${A_DIR})
  target_link_libraries(${name} PUBLIC ${A_PUBLIC} PRIVATE ma_options ${A_PRIVATE})
endfunction()
