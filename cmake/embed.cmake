# ctz_embed(TARGET FOLDER): every .lua file below FOLDER becomes bytes of the program (release), or
# a link beside it (development: edit and run).
function(ctz_embed target folder)
  set(output ${PROJECT_BINARY_DIR}/generated/embedded.c)
  file(GLOB_RECURSE modules CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/${folder}
       ${PROJECT_SOURCE_DIR}/${folder}/*.lua)
  if(CTZ_EMBED)
    list(TRANSFORM modules PREPEND ${PROJECT_SOURCE_DIR}/${folder}/ OUTPUT_VARIABLE files)
    add_custom_command(OUTPUT ${output}
      COMMAND lua5.4 ${PROJECT_SOURCE_DIR}/script/embed.lua ${PROJECT_SOURCE_DIR}/${folder} ${output}
              ${modules}
      DEPENDS ${files} ${PROJECT_SOURCE_DIR}/script/embed.lua VERBATIM)
  else()
    file(WRITE ${output}.new "#include \"host/load.h\"\nconst struct ctz_embedded ctz_embedded[] = {{0}};\n")
    file(COPY_FILE ${output}.new ${output} ONLY_IF_DIFFERENT)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/lib/ctz)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/lib/ctz/lua SYMBOLIC)
  endif()
  target_sources(${target} PRIVATE ${output})
endfunction()
