# cmake --install: the command, the public headers, the libraries with a pkg-config file, manual pages, completions.

if(TARGET memattach)
  install(TARGETS memattach RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

if(TARGET memattachd)
  install(TARGETS memattachd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  configure_file(tools/systemd/memattachd.service.in ${CMAKE_BINARY_DIR}/memattachd.service @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/memattachd.service DESTINATION lib/systemd/system)
  set(completions ${PROJECT_SOURCE_DIR}/tools/completions)
  install(FILES ${completions}/memattachd.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          RENAME memattachd)
  install(FILES ${completions}/_memattachd DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${completions}/memattachd.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

install(DIRECTORY include/memattach DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

# One archive a folder; the order of the link line is from those that use to those that are used.
set(pc_libs "")
foreach(lib ma_graph ma_session ma_stream ma_twin ma_agent_blob ma_trace ma_python ma_elf ma_proc ma_format ma_base)
  if(NOT TARGET ${lib})
    continue()
  endif()
  get_target_property(type ${lib} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    install(TARGETS ${lib} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/memattach)
    string(APPEND pc_libs " -l${lib}")
  endif()
endforeach()
set(pc_requires "libzstd libxxhash")
if(MA_ATTACH)
  string(APPEND pc_requires " libdw libelf")
endif()
# The prefix is told from where the file lies, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(cmake/memattach.pc.in ${CMAKE_BINARY_DIR}/memattach.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/memattach.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_file(cmake/libmemattach.pc.in ${CMAKE_BINARY_DIR}/libmemattach.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/libmemattach.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(TARGETS libmemattach LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

foreach(section 1 5 8)
  file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# tools/completions: memattach.bash, _memattach (zsh), memattach.fish
set(completions ${PROJECT_SOURCE_DIR}/tools/completions)
if(EXISTS ${completions}/memattach.bash)
  install(FILES ${completions}/memattach.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          RENAME memattach)
endif()
if(EXISTS ${completions}/_memattach)
  install(FILES ${completions}/_memattach DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()
if(EXISTS ${completions}/memattach.fish)
  install(FILES ${completions}/memattach.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/examples/growth.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
