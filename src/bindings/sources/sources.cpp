#include "bindings/sources/sources.hpp"

#include <string>

#include "base/error.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/sources/default_pool.hpp"
#include "bindings/sources/python_pages.hpp"
#include "threads/lifecycle/pool_pages.hpp"

namespace numpool::bindings {

using threads::Pool;

pages::SourceHandle to_source(const py::object& source, const pages::SourceHandle& otherwise,
                              std::size_t most_align) {
    if (source.is_none()) return otherwise;
    if (py::isinstance<Pages>(source)) return source.cast<Pages&>().source;
    if (!py::isinstance<Pool>(source)) {
        throw py::type_error{std::string{"source must be a pool, Pages or None, not "} +
                             Py_TYPE(source.ptr())->tp_name};
    }
    auto& pool = source.cast<Pool&>();
    require_open(pool);
    return threads::draw_on(pool, most_align);
}

std::optional<pages::SourceHandle> to_file_source(const py::object& source) {
    if (source.is_none()) return {};
    if (!py::isinstance<Pages>(source)) {
        throw py::type_error{"source must be Pages(file=...) or None, not " +
                             std::string{py::str(py::type::of(source).attr("__name__"))}};
    }
    const auto& pages = source.cast<Pages&>();
    if (pages.folder.empty()) {
        throw BadArgument{"source is " + pages.text +
                          ", but a SlabPool takes Pages(file=...), or None for pages of its own"};
    }
    return pages.source;
}

pages::SourceHandle default_source() {
    return threads::draw_on(default_pool());
}

}  // namespace numpool::bindings
