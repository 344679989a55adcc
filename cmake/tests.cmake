# ctz_test(NAME sources... LIBRARIES targets...): tests/c/NAME_test.c as a cmocka program, label c.
# It is linked to the host's objects, so that it can call what the program does not export.
enable_testing()
function(ctz_test name)
  if(NOT CTZ_TESTS)
    return()
  endif()
  cmake_parse_arguments(test "" "" "LIBRARIES" ${ARGN})
  add_executable(test_${name} tests/c/${name}_test.c ${test_UNPARSED_ARGUMENTS})
  target_link_libraries(test_${name} PRIVATE host PkgConfig::cmocka ${test_LIBRARIES})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME c.${name} COMMAND test_${name})
  set_tests_properties(c.${name} PROPERTIES LABELS c TIMEOUT 60)
endfunction()

# Every tests/lua/NAME_spec.lua is run by `ctz test`, label lua; those of tests/lua/live, which need
# real engines or root, have the label live.
function(ctz_lua_tests label folder timeout)
  file(GLOB specs CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${folder}/*_spec.lua)
  foreach(spec ${specs})
    get_filename_component(name ${spec} NAME)
    string(REPLACE _spec.lua "" name ${name})
    add_test(NAME ${label}.${name} COMMAND ctz test ${spec} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout})
    if(CTZ_SANITIZE AND label STREQUAL lua) # collect after every resume: finds values nothing anchors
      set_tests_properties(${label}.${name} PROPERTIES ENVIRONMENT CTZ_GC_STRESS=1)
    endif()
  endforeach()
endfunction()
