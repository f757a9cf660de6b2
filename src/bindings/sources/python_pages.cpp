/// `numpool.Pages`: a page source whose pages are populated, locked, huge, or in a file.

#include "bindings/sources/python_pages.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/parameters.hpp"
#include "bindings/python/sizes.hpp"
#include "pages/source/explicit_huge_pages.hpp"
#include "pages/source/os_pages.hpp"
#include "pages/source/prepared_pages.hpp"
#include "threads/lifecycle/file_fork.hpp"

namespace numpool::bindings {
namespace {

/// Above the nodes of any machine. The source refuses such a node and says how many there are.
constexpr std::size_t most_node = 1 << 20;

/// Prepared pages that come from explicit huge pages.
struct PreparedHugePages {
    explicit PreparedHugePages(const pages::Preparation& preparation)
        : prepared{huge, preparation} {}

    pages::ExplicitHugePages huge;
    pages::PreparedPages prepared;
};

pages::SourceHandle make_source(const pages::Preparation& preparation, bool huge) {
    if (!huge) {
        return pages::SourceHandle{
            std::make_shared<pages::PreparedPages>(pages::os_pages(), preparation)};
    }
    const auto both = std::make_shared<PreparedHugePages>(preparation);
    return pages::SourceHandle{std::shared_ptr<pages::PageSource>{both, &both->prepared}};
}

/// A path as the system takes it, from a str, bytes or a path object.
std::string to_path(const py::object& path) {
    PyObject* bytes = nullptr;
    if (PyUnicode_FSConverter(path.ptr(), &bytes) == 0) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set{};
        PyErr_Clear();
        throw py::type_error{std::string{"file must be a folder's path or None, not "} +
                             Py_TYPE(path.ptr())->tp_name};
    }
    const auto held = py::reinterpret_steal<py::bytes>(bytes);
    const std::string text{held};
    // Errors and reprs show it.
    const auto shown = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr));
    if (shown) return text;
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) throw py::error_already_set{};
    PyErr_Clear();
    throw BadArgument{"file is a path that is not UTF-8: name a folder with such a path"};
}

Pages in_file(const std::string& folder, bool forced) {
    return {threads::pages_in_file(folder, forced), "<numpool.Pages: in a file in " + folder + ">",
            folder, forced};
}

Pages create(const Given& given) {
    const py::object file = given("file");
    const bool force = given.flag("force", false);
    const bool populated = given.flag("populated", false);
    const bool locked = given.flag("locked", false);
    const bool huge = given.flag("huge", false);
    const py::object node = given("node");
    if (!file.is_none()) {
        const std::string folder = to_path(file);
        if (populated || locked || huge || !node.is_none()) {
            throw BadArgument{
                "pages of a file come and go as the system likes: leave populated, locked, node "
                "and huge out, or leave file out"};
        }
        return in_file(folder, force);
    }
    if (force) throw BadArgument{"force is for a file on a tmpfs: name its folder with file=..."};
    pages::Preparation preparation{.populated = populated, .locked = locked};
    std::string text = "<numpool.Pages:";
    if (populated) text += " populated";
    if (locked) text += " locked";
    if (huge) text += " huge";
    if (!node.is_none()) {
        preparation.node = static_cast<unsigned>(std::min(to_count(node, "node"), most_node));
        text += " of node " + std::to_string(*preparation.node);
    }
    if (text.back() == ':') text += " as they come";
    return {make_source(preparation, huge), text + ">"};
}

constexpr const char* doc =
    R"(Pages(*, populated=False, locked=False, node=None, huge=False, file=None, force=False)
--

Pages for real-time programs, and for arrays larger than memory, as a pool's source=Pages(...).

By default, the system provides a page when a program first touches it, which takes about a
microsecond. It may swap the page out when the machine is short of memory.

populated  the system provides all pages when the pool gets them, so no page fault comes later
locked     like populated, and the pages are never swapped out; RLIMIT_MEMLOCK bounds their number
node       the pages come only from the memory of this NUMA node
huge       the pages are huge pages of 2 MiB, from those that the machine reserves (vm.nr_hugepages)
file       the pages are those of a file in this folder, which the system writes to the disk when
           memory is short and reads on demand; no other option goes with it. The file has no name,
           so nothing of it is left when the program ends, also by a crash
force      take the file also on a tmpfs, which keeps it in memory

A pool that cannot get such pages raises PoolExhausted. A full disk is such a case: the blocks of a
file are reserved before they are used. In a forked child the pages are ordinary pages. But a pool
on a file is closed there; "Larger than memory" says what the child sees of its arrays.)";

}  // namespace

void register_pages(py::module_& module) {
    py::class_<Pages> pages{module, "Pages", py::is_final(), own_layout(), doc};
    define_init(pages, doc, &create);
    pages.def("__repr__", [](const Pages& self) { return self.text; })
        .def(
            "_anew", [](const Pages& self) { return in_file(self.folder, self.forced); },
            "_anew(self)\n--\n\nPages of another file in the same folder.");
}

}  // namespace numpool::bindings
