#include "bindings/pools/finding.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/size_text.hpp"
#include "bindings/buffer/buffer.hpp"
#include "bindings/pools/frames.hpp"
#include "bindings/python/numpy_api.hpp"

namespace numpool::bindings {
namespace {

using threads::SharedArena;

/// Searches take a tenth of the time at most, on the average of so many milliseconds.
class Allowance {
  public:
    bool is_left() const noexcept { return coarse_milliseconds() >= next_; }
    void spend(std::int64_t nanoseconds) noexcept {
        const std::uint64_t now = coarse_milliseconds();
        const std::uint64_t start = std::max(next_.load(), now - std::min(now, average_of));
        next_ = start + part * static_cast<std::uint64_t>(nanoseconds) / 1000000;
    }

  private:
    static constexpr std::uint64_t average_of = 10000;
    static constexpr std::uint64_t part = 10;

    std::atomic<std::uint64_t> next_ = 0;
};

bool is_numpy_there() {
    // Not by an import, which may run somebody's code.
    if (PyDict_GetItemString(PyImport_GetModuleDict(), "numpy") == nullptr) return false;
    if (import_numpy()) return true;
    PyErr_Clear();
    return false;
}

/// What a released one was of may be gone.
bool is_unreleased_view(PyObject* object) noexcept {
    return PyMemoryView_Check(object) &&
           (reinterpret_cast<PyMemoryViewObject*>(object)->flags & _Py_MEMORYVIEW_RELEASED) == 0;
}

/// "(1024, 3) float64"
std::string text_of(PyArrayObject* array) {
    std::string text = "(";
    const int dimensions = PyArray_NDIM(array);
    for (int i = 0; i < dimensions; ++i) {
        if (i != 0) text += ", ";
        text += std::to_string(PyArray_DIM(array, i));
    }
    text += dimensions == 1 ? ",) " : ") ";
    // "numpy.float64", "numpy.str_"
    std::string type = PyArray_DESCR(array)->typeobj->tp_name;
    type.erase(0, type.rfind('.') + 1);
    if (type.ends_with('_')) type.pop_back();
    return text + type;
}

class Search {
  public:
    explicit Search(SharedArena::Usage& usage) : usage_{usage}, unnamed_{usage.first.size()} {}

    void run() {
        locals_ = locals_of_running_frames([this] { return goes_on(); });
        look_through_heap();
    }

  private:
    static constexpr std::int64_t most_nanoseconds = 50'000'000;

    bool goes_on() const noexcept { return unnamed_ != 0 && thread_nanoseconds() < end_; }

    void look_through_heap();
    bool look_at_locals() noexcept;
    bool enter(PyObject* object) noexcept;
    bool visit(PyObject* object) noexcept;
    void look_at(PyObject* object) noexcept;
    void describe(PyObject* holder, SharedArena::Named& named);
    SharedArena::Named* find(const void* address) noexcept;

    SharedArena::Usage& usage_;
    std::size_t unnamed_;
    const bool is_numpy_there_ = bindings::is_numpy_there();
    const std::int64_t end_ = thread_nanoseconds() + most_nanoseconds;
    std::vector<py::object> locals_;
    std::size_t visits_ = 0;
    int depth_ = 0;
    bool is_over_ = false;
};

SharedArena::Named* Search::find(const void* address) noexcept {
    for (SharedArena::Named& one : usage_.first) {
        const auto offset =
            static_cast<std::size_t>(static_cast<const std::byte*>(address) - one.block.start);
        if (one.what.empty() && offset < std::max<std::size_t>(one.block.bytes, 1)) return &one;
    }
    return nullptr;
}

/// Goes from a view to what it is a view of, as far as that is in the block.
void Search::describe(PyObject* holder, SharedArena::Named& named) {
    PyArrayObject* whole = nullptr;
    for (int links = 0; holder != nullptr && links < 100; ++links) {
        if (is_numpy_there_ && PyArray_Check(holder)) {
            auto* const array = reinterpret_cast<PyArrayObject*>(holder);
            if (find(PyArray_DATA(array)) != &named) break;
            whole = array;
            holder = PyArray_BASE(array);
        } else if (is_unreleased_view(holder)) {
            holder = PyMemoryView_GET_BUFFER(holder)->obj;
        } else {
            break;
        }
    }
    const bool is_on_buffer = holder != nullptr && (is_lease(holder) || is_buffer(holder));
    const std::string block = (is_on_buffer ? "Buffer of " : "") + size_to_text(named.block.bytes);
    if (whole == nullptr) {
        named.what = is_on_buffer ? block : "memoryview of " + block;
    } else if (is_on_buffer) {
        named.what = text_of(whole) + " on a " + block;
    } else {
        named.what =
            text_of(whole) + " of " + size_to_text(static_cast<std::size_t>(PyArray_NBYTES(whole)));
    }
    --unnamed_;
}

void Search::look_at(PyObject* object) noexcept try {
    const void* address = nullptr;
    if (is_numpy_there_ && PyArray_Check(object)) {
        address = PyArray_DATA(reinterpret_cast<PyArrayObject*>(object));
    } else if (is_unreleased_view(object)) {
        address = PyMemoryView_GET_BUFFER(object)->buf;
    }
    if (address == nullptr) return;
    if (SharedArena::Named* const named = find(address)) describe(object, *named);
} catch (const std::bad_alloc&) {
    is_over_ = true;
}

/// What a tracked object refers to. False where the search is over.
bool Search::visit(PyObject* object) noexcept {
    if (++visits_ % 256 == 0 && !goes_on()) is_over_ = true;
    if (is_over_ || unnamed_ == 0) return false;
    look_at(object);
    // The collector does not know dicts and tuples in which it has nothing to do.
    if ((PyDict_CheckExact(object) || PyTuple_CheckExact(object)) && depth_ < 50 &&
        PyObject_GC_IsTracked(object) == 0) {
        ++depth_;
        enter(object);
        --depth_;
    }
    return !is_over_ && unnamed_ != 0;
}

bool Search::enter(PyObject* object) noexcept {
    const visitproc visit_next = [](PyObject* next, void* search) {
        return static_cast<Search*>(search)->visit(next) ? 0 : 1;
    };
    return Py_TYPE(object)->tp_traverse(object, visit_next, this) == 0;
}

bool Search::look_at_locals() noexcept {
    for (std::size_t i = 0; i < locals_.size(); ++i) {
        if (!visit(locals_[i].ptr())) return false;
    }
    return true;
}

#if PY_VERSION_HEX >= 0x030c0000

/// Without a GIL, all other threads stand still in here.
void Search::look_through_heap() {
    const gcvisitobjects_t look = [](PyObject* object, void* data) {
        auto& search = *static_cast<Search*>(data);
        if (search.visits_ == 0 && !search.look_at_locals()) return 0;
        return search.visit(object) && search.enter(object) ? 1 : 0;
    };
    PyUnstable_GC_VisitObjects(look, this);
}

#else

void Search::look_through_heap() {
    if (!look_at_locals()) return;
    const auto gc = py::reinterpret_steal<py::object>(
        PyImport_ImportModuleLevel("gc", nullptr, nullptr, nullptr, 0));
    for (int generation = 0; gc && generation < 3 && goes_on(); ++generation) {
        const auto objects = py::reinterpret_steal<py::object>(
            PyObject_CallMethod(gc.ptr(), "get_objects", "i", generation));
        if (!objects || !PyList_CheckExact(objects.ptr())) break;
        for (const py::handle object : py::reinterpret_borrow<py::list>(objects)) {
            if (!visit(object.ptr()) || !enter(object.ptr())) return;
        }
    }
    PyErr_Clear();
}

/// Before 3.12 making an object may begin a collection, and that may run anything.
class NoCollection {
  public:
    NoCollection() noexcept : was_on_{PyGC_Disable() != 0} {}
    NoCollection(const NoCollection&) = delete;
    NoCollection& operator=(const NoCollection&) = delete;
    ~NoCollection() {
        if (was_on_) PyGC_Enable();
    }

  private:
    bool was_on_;
};

#endif

}  // namespace

void name_what_is_in(SharedArena::Usage& usage) noexcept try {
    static Allowance allowance;
    if (!allowance.is_left()) return;
    const std::int64_t start = thread_nanoseconds();
#if PY_VERSION_HEX < 0x030c0000
    const NoCollection no_collection;
#endif
    Search{usage}.run();
    allowance.spend(thread_nanoseconds() - start);
} catch (const std::bad_alloc&) {  // What has no name by now has an address.
}

}  // namespace numpool::bindings
