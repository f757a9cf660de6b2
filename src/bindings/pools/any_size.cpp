#include "bindings/pools/any_size.hpp"

#include <algorithm>
#include <string>

#include "base/size_text.hpp"
#include "pages/system/memory_limit.hpp"

namespace numpool::bindings {

PyObject* to_buffer(Holding holding) {
    Buffer* const buffer = new_buffer(holding);
    if (buffer != nullptr) return &buffer->ob_base;
    holding.let_go();
    throw py::error_already_set{};
}

[[gnu::cold]] void refuse_arguments(Py_ssize_t count, PyObject* names) {
    if (names != nullptr) {
        const std::string name = to_text(PyTuple_GET_ITEM(names, 0));
        if (name == "timeout") {
            throw py::type_error{
                "acquire() takes no 'timeout', since this pool never waits: catch PoolExhausted, "
                "or use a FixedPool or a ReservePool, which wait"};
        }
        throw py::type_error{"acquire() takes no '" + name + "': call acquire(nbytes)"};
    }
    throw py::type_error{"acquire() takes one argument, nbytes, and got " + std::to_string(count)};
}

void require_room_for_many(const threads::Pool& pool, std::size_t bytes, std::size_t count) {
    require_open(pool);
    const auto refuse = [&](const std::string& why) {
        throw Exhausted{pool.title() + ": asked for " + std::to_string(count) + " buffers of " +
                        size_to_text(bytes) + " at once, more than " + why + ": ask for fewer"};
    };
    const std::size_t limit = figures_of(pool).limit;
    if (limit != threads::PoolFigures::no_limit && count > limit / std::max<std::size_t>(bytes, 1))
        refuse("its limit of " + size_to_text(limit));
    const std::size_t memory = pages::memory_limit();
    if (count > memory / (sizeof(Buffer) + sizeof(PyObject*)))
        refuse("the " + size_to_text(memory) + " of this process hold");
}

}  // namespace numpool::bindings
