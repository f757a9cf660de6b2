"""Where compilers find what numpool has for C++: imported when it is first asked for."""

from __future__ import annotations

from pathlib import Path

from numpool import _core


def _folder(*parts: str) -> str:
    # Beside the extension, which an editable install keeps away from these sources.
    folder = Path(_core.__file__).parent.joinpath(*parts)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"this numpool was built without what C++ needs: there is no {folder}; build it with "
            "NUMPOOL_INSTALL=ON"
        )
    return str(folder)


def get_include() -> str:
    """The folder for a compiler's ``-I``, for ``#include <numpool/numpool.hpp>``."""
    return _folder("include")


def get_cmake_dir() -> str:
    """The folder for CMake's ``numpool_DIR``, for ``find_package(numpool)``.

    scikit-build-core needs no such hint: the package has an entry point for it.
    """
    return _folder("lib", "cmake", "numpool")
