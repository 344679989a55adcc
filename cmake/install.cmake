# What `cmake --install` puts into a prefix. The program looks for lib/ctz beside the folder it
# stands in, so a prefix may be moved.
set(pages ${PROJECT_BINARY_DIR}/share)
add_custom_command(OUTPUT ${pages}/.made
  COMMAND ctz run ${PROJECT_SOURCE_DIR}/script/pages.lua ${pages}
  COMMAND ${CMAKE_COMMAND} -E touch ${pages}/.made
  DEPENDS ctz ${PROJECT_SOURCE_DIR}/script/pages.lua
          ${PROJECT_SOURCE_DIR}/lua/stdlib/ctz/cmd/pages.lua
          ${PROJECT_SOURCE_DIR}/lua/stdlib/ctz/cmd/help.lua
          ${PROJECT_SOURCE_DIR}/lua/stdlib/ctz/cmd/completion.lua
  COMMENT "Man pages and completions" VERBATIM)
add_custom_target(pages ALL DEPENDS ${pages}/.made)

install(TARGETS ctz RUNTIME DESTINATION bin)
get_property(targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
foreach(target ${targets}) # the rooms and the libraries that they share
  get_target_property(type ${target} TYPE)
  if(target MATCHES "^ctz_" AND type MATCHES "MODULE_LIBRARY|SHARED_LIBRARY")
    install(TARGETS ${target} LIBRARY DESTINATION lib/ctz)
  endif()
endforeach()
if(NOT CTZ_EMBED)
  install(DIRECTORY lua/stdlib/ DESTINATION lib/ctz/lua)
endif()
install(DIRECTORY ${pages}/man ${pages}/bash-completion ${pages}/zsh ${pages}/fish DESTINATION share)
install(DIRECTORY lua/meta DESTINATION share/ctz)
install(FILES LICENSE README.md DESTINATION share/doc/ctz)
