# ctz_embed(TARGET FOLDER): every .lua file below FOLDER becomes bytes of the program (release), or
# a link beside it (development: edit and run). The data of `ctz doc`, made from the doc comments of
# all sources, is bytes of the program in both.
function(ctz_embed target folder)
  set(generated ${PROJECT_BINARY_DIR}/generated)
  set(data ${generated}/lua/ctz/docdata.lua)
  set(output ${generated}/embedded.c)
  file(GLOB_RECURSE modules CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/${folder}
       ${PROJECT_SOURCE_DIR}/${folder}/*.lua)
  list(TRANSFORM modules PREPEND ${PROJECT_SOURCE_DIR}/${folder}/ OUTPUT_VARIABLE files)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/*.c
       ${PROJECT_SOURCE_DIR}/bindings/*.c)
  add_custom_command(OUTPUT ${data}
    COMMAND lua5.4 script/gendoc.lua --data ${data}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    DEPENDS ${files} ${sources} host/error.h script/gendoc.lua VERBATIM)
  if(CTZ_EMBED)
    set(embedded -C ${PROJECT_SOURCE_DIR}/${folder} ${modules})
  else()
    set(files)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/lib/ctz)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/lib/ctz/lua SYMBOLIC)
  endif()
  add_custom_command(OUTPUT ${output}
    COMMAND lua5.4 script/embed.lua ${output} ${embedded} -C ${generated}/lua ctz/docdata.lua
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    DEPENDS ${files} ${data} script/embed.lua VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
