/// `numpool.Pages`: a page source whose pages are populated, locked or huge.

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

Pages create(const Given& given) {
    const bool populated = given.flag("populated", false);
    const bool locked = given.flag("locked", false);
    const bool huge = given.flag("huge", false);
    const py::object node = given("node");
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
    R"(Pages(*, populated=False, locked=False, node=None, huge=False)
--

Pages for real-time programs, as a pool's source=Pages(...).

By default, the system provides a page when a program first touches it, which takes about a
microsecond. It may swap the page out when the machine is short of memory.

populated  the system provides all pages when the pool gets them, so no page fault comes later
locked     like populated, and the pages are never swapped out; RLIMIT_MEMLOCK bounds their number
node       the pages come only from the memory of this NUMA node
huge       the pages are huge pages of 2 MiB, from those that the machine reserves (vm.nr_hugepages)

A pool that cannot get such pages raises PoolExhausted. In a forked child they are ordinary pages.)";

}  // namespace

void register_pages(py::module_& module) {
    py::class_<Pages> pages{module, "Pages", py::is_final(), own_layout(), doc};
    define_init(pages, doc, &create);
    pages.def("__repr__", [](const Pages& self) { return self.text; });
}

}  // namespace numpool::bindings
