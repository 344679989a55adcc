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

# Every spec of tests/lua/live/docker is run beside each private engine of tests/testbed/docker, which the fixture
# starts once for all of them. One spec at a time has an engine. 77: this machine cannot run it.
function(ctz_docker_tests)
  set(testbed ${PROJECT_SOURCE_DIR}/tests/testbed/docker)
  string(MD5 mark ${PROJECT_BINARY_DIR})
  string(SUBSTRING ${mark} 0 12 mark)
  set(folder /tmp/ctz-engines-${mark}) # a socket's path is short
  add_test(NAME live_docker.start COMMAND ${testbed} start ${folder})
  add_test(NAME live_docker.stop COMMAND ${testbed} stop ${folder})
  set_tests_properties(live_docker.start PROPERTIES FIXTURES_SETUP docker TIMEOUT 1500 COST 1000)
  set_tests_properties(live_docker.stop PROPERTIES FIXTURES_CLEANUP docker TIMEOUT 120)
  set(names live_docker.start live_docker.stop)
  file(GLOB specs CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
       ${PROJECT_SOURCE_DIR}/tests/lua/live/docker/*_spec.lua)
  foreach(spec ${specs})
    get_filename_component(name ${spec} NAME)
    string(REPLACE _spec.lua "" name ${name})
    foreach(engine packaged newest)
      add_test(NAME live_docker.${name}.${engine} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
               COMMAND ${testbed} exec ${folder} ${engine} -- $<TARGET_FILE:ctz> test ${spec})
      set_tests_properties(live_docker.${name}.${engine} PROPERTIES TIMEOUT 600
                           FIXTURES_REQUIRED docker RESOURCE_LOCK docker.${engine})
      list(APPEND names live_docker.${name}.${engine})
    endforeach()
  endforeach()
  set_tests_properties(${names} PROPERTIES LABELS live SKIP_RETURN_CODE 77)
endfunction()

# What does not need a real engine of those specs (#real) is run beside the engine in memory too.
function(ctz_simulated_tests)
  foreach(name archive containers ephemeral events exec images logs networks system volumes wait)
    add_test(NAME simulated.${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
             COMMAND ctz test --exclude-tags real tests/lua/live/docker/${name}_spec.lua)
    set_tests_properties(simulated.${name} PROPERTIES LABELS lua TIMEOUT 300
                         ENVIRONMENT CTZ_TEST_DOCKER_HOST=simulate)
  endforeach()
endfunction()

# Every spec of tests/lua/live/registry is run beside the registries of each engine of tests/testbed/registry.
function(ctz_registry_tests)
  set(testbed ${PROJECT_SOURCE_DIR}/tests/testbed/registry)
  set(folder ${PROJECT_BINARY_DIR}/registries)
  add_test(NAME live_registry.start COMMAND ${testbed} start ${folder})
  add_test(NAME live_registry.stop COMMAND ${testbed} stop ${folder})
  set_tests_properties(live_registry.start PROPERTIES FIXTURES_SETUP registry TIMEOUT 1500)
  set_tests_properties(live_registry.stop PROPERTIES FIXTURES_CLEANUP registry TIMEOUT 120)
  set(names live_registry.start live_registry.stop)
  file(GLOB specs CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
       ${PROJECT_SOURCE_DIR}/tests/lua/live/registry/*_spec.lua)
  foreach(spec ${specs})
    get_filename_component(name ${spec} NAME)
    string(REPLACE _spec.lua "" name ${name})
    foreach(engine packaged newest)
      add_test(NAME live_registry.${name}.${engine} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
               COMMAND ${testbed} exec ${folder} ${engine} -- $<TARGET_FILE:ctz> test ${spec})
      set_tests_properties(live_registry.${name}.${engine} PROPERTIES TIMEOUT 300
                           FIXTURES_REQUIRED registry RESOURCE_LOCK registry.${engine})
      list(APPEND names live_registry.${name}.${engine})
    endforeach()
  endforeach()
  set_tests_properties(${names} PROPERTIES LABELS live SKIP_RETURN_CODE 77)
endfunction()
