#pragma once

#include <Python.h>

namespace numpool::bindings {

#ifdef Py_GIL_DISABLED

/// Holds an object's own lock; where there is a GIL, that is the lock.
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

/// Makes a new object count its references in one atomic number. By default the thread that made
/// an object counts its own apart, and the last reference, dropped by another thread, is noticed
/// only when the maker gets round to it: never, if it waits for this very block.
inline void count_references_together(PyObject* object) noexcept {
    object->ob_tid = 0;
    object->ob_ref_local = 0;
    object->ob_ref_shared = _Py_REF_SHARED(1, _Py_REF_MERGED);
}

/// Ends the counting of a new object's references: it lives as long as the process. Threads that
/// all hold one object, as arrays hold their allocator and buffers their type, would write to its
/// count in turns, and two threads together would be no faster than one.
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
