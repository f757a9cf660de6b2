#pragma once

#include <Python.h>

namespace numpool::bindings {

#ifdef Py_GIL_DISABLED

/// Holds an object's own lock. In a build with a GIL, the GIL does that, and this is empty.
class CriticalSection {
  public:
    explicit CriticalSection(PyObject* object) noexcept {
        PyCriticalSection_Begin(&section_, object);
    }
    CriticalSection(const CriticalSection&) = delete;
    CriticalSection& operator=(const CriticalSection&) = delete;
    ~CriticalSection() { PyCriticalSection_End(&section_); }

  private:
    PyCriticalSection section_;
};

/// Makes a new object count its references in one atomic number. By default the thread that made an
/// object counts its own references apart. When another thread drops the last one, the object goes
/// only once its maker merges the counts: never, if the maker waits for this very block.
inline void count_references_together(PyObject* object) noexcept {
    object->ob_tid = 0;
    object->ob_ref_local = 0;
    object->ob_ref_shared = _Py_REF_SHARED(1, _Py_REF_MERGED);
}

/// Lets a new object live as long as the process, without a count of references. All arrays hold
/// their allocator, and all buffers their type. Threads would write to that one count by turns, and
/// two threads together would be no faster than one.
inline void immortalise(PyObject* object) noexcept {
#if PY_VERSION_HEX >= 0x030f0000
    PyUnstable_SetImmortal(object);
#else
    object->ob_tid = _Py_UNOWNED_TID;
    object->ob_ref_local = _Py_IMMORTAL_REFCNT_LOCAL;
    object->ob_ref_shared = 0;
#endif
}

#else

struct CriticalSection {
    explicit CriticalSection(PyObject*) noexcept {}
};

inline void count_references_together(PyObject*) noexcept {}
inline void immortalise(PyObject*) noexcept {}

#endif

}  // namespace numpool::bindings
