# Configures and builds one consumer project and runs its program.
#
#     cmake -DSOURCE= -DBINARY= -DMODEL= -DGENERATOR= [-DOPTIONS=] [-DTARGET=] [-DPREFIX=] -P build_and_run.cmake
#
# OPTIONS: more for the configuration, separated by |. TARGET: build only that, run nothing. PREFIX: install there.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "status ${status}: ${command}")
  endif()
endfunction()

string(REPLACE "|" ";" OPTIONS "${OPTIONS}")
# A fresh configuration each time; objects stay, so that a second run is cheap.
file(REMOVE "${BINARY}/CMakeCache.txt")
run(${CMAKE_COMMAND} -S "${SOURCE}" -B "${BINARY}" -G "${GENERATOR}" ${OPTIONS})
if(TARGET)
  run(${CMAKE_COMMAND} --build "${BINARY}" --parallel 2 --target "${TARGET}")
  return()
endif()
run(${CMAKE_COMMAND} --build "${BINARY}" --parallel 2)
run("${BINARY}/consumer" "${MODEL}")
if(PREFIX)
  file(REMOVE_RECURSE "${PREFIX}")
  run(${CMAKE_COMMAND} --install "${BINARY}" --prefix "${PREFIX}")
endif()
