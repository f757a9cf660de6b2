#include "bindings/pools/drop_notice.hpp"

#include <Python.h>

#include <new>
#include <utility>

namespace numpool::bindings {
namespace {

struct Notice {
    std::string text;
    std::shared_ptr<std::atomic<bool>> ended;
};

int warn(void* argument) {
    const std::unique_ptr<Notice> notice{static_cast<Notice*>(argument)};
    if (*notice->ended) return 0;
    // Where warnings are errors, no caller could catch this one.
    if (PyErr_ResourceWarning(nullptr, 1, "%s", notice->text.c_str()) != 0)
        PyErr_WriteUnraisable(nullptr);
    return 0;
}

}  // namespace

DropNotice::~DropNotice() {
    if (ended_) *ended_ = true;
}

void DropNotice::warn_later(std::string text) noexcept try {
    if (ended_) return;
    ended_ = std::make_shared<std::atomic<bool>>(false);
    auto notice = std::make_unique<Notice>(std::move(text), ended_);
    if (Py_AddPendingCall(warn, notice.get()) == 0) static_cast<void>(notice.release());
} catch (const std::bad_alloc&) {
    return;
}

}  // namespace numpool::bindings
