# Says in one sentence that numpool cannot be built here, before a compiler says it in many. It
# checks Python only if one was found.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "numpool needs Linux: this build is for ${CMAKE_SYSTEM_NAME}.")
elseif(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    math(EXPR bits "8 * ${CMAKE_SIZEOF_VOID_P}")
    message(FATAL_ERROR "numpool needs a 64-bit system: this build is for ${bits} bits.")
elseif(DEFINED Python_INTERPRETER_ID AND Python_INTERPRETER_ID MATCHES "PyPy|IronPython")
    message(FATAL_ERROR "numpool needs CPython: this build is for ${Python_INTERPRETER_ID}.")
endif()
