#include "bindings/profile/python_stack.hpp"

#include <mutex>
#include <string_view>
#include <unordered_map>

#include "bindings/python/no_collection.hpp"
#include "bindings/python/python_line.hpp"
#include "bindings/python/topics.hpp"
#include "threads/lifecycle/fork_guarded.hpp"

namespace numpool::bindings {
namespace {

using observe::Frame;

/// The code objects that a profile has met. Each has a reference here, so that its address is not
/// used again.
class KnownCodes final : private threads::ForkGuarded {
  public:
    /// Never destroyed: arrays are freed while the process exits.
    static KnownCodes& instance() {
        static auto* const all = new KnownCodes;
        return *all;
    }

    /// Throws std::bad_alloc.
    bool add(PyCodeObject* code) {
        const bool of_a_library = is_library(code);
        const std::lock_guard lock{mutex_};
        if (codes_.emplace(code, of_a_library).second) Py_INCREF(reinterpret_cast<PyObject*>(code));
        return of_a_library;
    }

    bool is_of_a_library(PyCodeObject* code) noexcept {
        {
            const std::lock_guard lock{mutex_};
            const auto found = codes_.find(code);
            if (found != codes_.end()) return found->second;
        }
        return is_library(code);
    }

  private:
    KnownCodes() { guard(Rank::inner); }

    static bool is_library(PyCodeObject* code) noexcept {
        Py_ssize_t bytes = 0;
        const char* const file = PyUnicode_AsUTF8AndSize(code->co_filename, &bytes);
        if (file == nullptr) PyErr_Clear();
        return file != nullptr &&
               bindings::is_of_a_library(std::string_view{file, static_cast<std::size_t>(bytes)});
    }

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    std::mutex mutex_;
    std::unordered_map<PyCodeObject*, bool> codes_;
};

PyCodeObject* code_in(const Frame& frame) noexcept {
    return static_cast<PyCodeObject*>(const_cast<void*>(frame.code));
}

/// The frame's code object, which the frame keeps alive.
PyCodeObject* code_of(PyFrameObject* frame) noexcept {
    PyCodeObject* const code = PyFrame_GetCode(frame);
    Py_DECREF(reinterpret_cast<PyObject*>(code));
    return code;
}

Frame frame_at(PyFrameObject* frame) noexcept {
#if PY_VERSION_HEX >= 0x030b0000
    return {code_of(frame), PyFrame_GetLasti(frame)};
#else
    return {code_of(frame), frame->f_lasti * 2};
#endif
}

/// Calls `visit` with the calling thread's frames, the innermost first, until it returns false.
template <class Visit>
void for_each_frame(Visit visit) noexcept {
    if (!is_attached()) return;
    const py::error_scope passing;
    const NoCollection no_collection;
    PyFrameObject* frame = PyEval_GetFrame();
    Py_XINCREF(reinterpret_cast<PyObject*>(frame));
    // The thread runs these frames, so the references here are never the last ones.
    while (frame != nullptr) {
        PyFrameObject* const outer = visit(frame) ? PyFrame_GetBack(frame) : nullptr;
        Py_DECREF(reinterpret_cast<PyObject*>(frame));
        frame = outer;
    }
    PyErr_Clear();
}

std::size_t stack(std::span<Frame> frames) noexcept {
    std::size_t depth = 0;
    for_each_frame([&](PyFrameObject* frame) {
        frames[depth++] = frame_at(frame);
        return depth < frames.size();
    });
    return depth;
}

std::optional<std::uint32_t> keep(std::span<const Frame> frames) noexcept try {
    const py::error_scope passing;
    std::optional<std::uint32_t> shown;
    for (std::uint32_t i = 0; i < frames.size(); ++i) {
        const bool of_a_library = KnownCodes::instance().add(code_in(frames[i]));
        if (!of_a_library && !shown) shown = i;
    }
    return shown.value_or(0);
} catch (const std::bad_alloc&) {
    return std::nullopt;
}

Frame place() noexcept {
    Frame innermost;
    Frame found;
    for_each_frame([&](PyFrameObject* frame) {
        const Frame here = frame_at(frame);
        if (innermost.code == nullptr) innermost = here;
        if (KnownCodes::instance().is_of_a_library(code_in(here))) return true;
        found = here;
        return false;
    });
    return found.code != nullptr ? found : innermost;
}

}  // namespace

observe::Surroundings python_surroundings() noexcept {
    return {.stack = stack, .keep = keep, .place = place};
}

}  // namespace numpool::bindings
