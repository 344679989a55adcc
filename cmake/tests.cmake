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

# Every spec of tests/lua/live/NAME is run beside each engine of tests/testbed/PROGRAM, which the fixture starts once for
# all of them in FOLDER. One spec at a time has an engine. 77: this machine cannot run it. The first start of all
# builds an engine, which takes minutes. START: more words for the start.
function(ctz_testbed_tests name program folder timeout)
  cmake_parse_arguments(PARSE_ARGV 4 bed "" "" "START")
  set(testbed ${PROJECT_SOURCE_DIR}/tests/testbed/${program})
  add_test(NAME live_${name}.start COMMAND ${testbed} start ${folder} ${bed_START})
  add_test(NAME live_${name}.stop COMMAND ${testbed} stop ${folder})
  set_tests_properties(live_${name}.start PROPERTIES FIXTURES_SETUP ${name} TIMEOUT 2400 COST 1000)
  set_tests_properties(live_${name}.stop PROPERTIES FIXTURES_CLEANUP ${name} TIMEOUT 120)
  set(names live_${name}.start live_${name}.stop)
  file(GLOB specs CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
       ${PROJECT_SOURCE_DIR}/tests/lua/live/${name}/*_spec.lua)
  set(engines ${bed_UNPARSED_ARGUMENTS})
  if(NOT engines)
    set(engines ONE)
  endif()
  foreach(spec ${specs})
    get_filename_component(test ${spec} NAME)
    string(REPLACE _spec.lua "" test live_${name}.${test})
    foreach(engine ${engines})
      if(engine STREQUAL ONE)
        set(words "")
        set(lock ${name})
        set(full ${test})
      else()
        set(words ${engine})
        set(lock ${name}.${engine})
        set(full ${test}.${engine})
      endif()
      add_test(NAME ${full} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
               COMMAND ${testbed} exec ${folder} ${words} -- $<TARGET_FILE:ctz> test ${spec})
      set_tests_properties(${full} PROPERTIES TIMEOUT ${timeout} FIXTURES_REQUIRED ${name} RESOURCE_LOCK ${lock})
      list(APPEND names ${full})
    endforeach()
  endforeach()
  set_tests_properties(${names} PROPERTIES LABELS live SKIP_RETURN_CODE 77)
endfunction()

# A socket's path is short: folders of engines that have one are in /tmp, one for each build folder.
function(ctz_docker_tests)
  string(MD5 mark ${PROJECT_BINARY_DIR})
  string(SUBSTRING ${mark} 0 12 mark)
  ctz_testbed_tests(docker docker /tmp/ctz-engines-${mark} 600 packaged newest)
endfunction()

function(ctz_kubernetes_tests)
  string(MD5 mark ${PROJECT_BINARY_DIR})
  string(SUBSTRING ${mark} 0 12 mark)
  ctz_testbed_tests(kubernetes cluster /tmp/ctz-cluster-${mark} 600 START --nodes 3 --metrics)
endfunction()

function(ctz_registry_tests)
  ctz_testbed_tests(registry registry ${PROJECT_BINARY_DIR}/registries 300 packaged newest)
endfunction()

# What does not need a real engine or cluster of those specs (#real) is run beside those in memory too.
function(ctz_simulated_tests)
  foreach(name archive containers ephemeral events exec images logs networks system volumes wait)
    add_test(NAME simulated.${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
             COMMAND ctz test --exclude-tags real tests/lua/live/docker/${name}_spec.lua)
    set_tests_properties(simulated.${name} PROPERTIES LABELS lua TIMEOUT 300
                         ENVIRONMENT CTZ_TEST_DOCKER_HOST=simulate)
  endforeach()
  foreach(name apply apply_wait diff elect events exec informer inventory logs mission nodes objects rollout watch)
    add_test(NAME simulated.kubernetes_${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
             COMMAND ctz test --exclude-tags real tests/lua/live/kubernetes/${name}_spec.lua)
    set_tests_properties(simulated.kubernetes_${name} PROPERTIES LABELS lua TIMEOUT 300
                         ENVIRONMENT CTZ_TEST_KUBERNETES=simulate)
  endforeach()
endfunction()

# What ctz answers beside the recorded answers of other clients (docs/conformance.md), against both registries.
function(ctz_conformance_test)
  add_test(NAME live_conformance COMMAND ${PROJECT_SOURCE_DIR}/tests/conformance/run $<TARGET_FILE:ctz>)
  set_tests_properties(live_conformance PROPERTIES LABELS live SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()
