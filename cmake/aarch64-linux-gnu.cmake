# For aarch64, with Debian's cross compiler. What was built runs under qemu's emulation of a process.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Of 64 GiB of addresses, since qemu before version 8 keeps a record of each page of a mapping: the range
# of a pool, a TiB and more, would take a minute and gigabytes.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -R 0x1000000000 -L /usr/aarch64-linux-gnu)
