# Says in one sentence where numpool cannot be built, before a compiler does so in many. A Python is
# checked only where one was found.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "numpool needs Linux: this build is for ${CMAKE_SYSTEM_NAME}.")
elseif(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    math(EXPR bits "8 * ${CMAKE_SIZEOF_VOID_P}")
    message(FATAL_ERROR "numpool needs a system of 64 bits: this build is for ${bits}.")
elseif(DEFINED Python_INTERPRETER_ID AND Python_INTERPRETER_ID MATCHES "PyPy|IronPython")
    message(FATAL_ERROR "numpool needs CPython: this build is for ${Python_INTERPRETER_ID}.")
endif()
