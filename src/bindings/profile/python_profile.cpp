/// What numpool/profiling needs of the core's profile.

#include <cmath>
#include <cstdint>

#include "bindings/numpy/numpy_context.hpp"
#include "bindings/numpy/numpy_process.hpp"
#include "bindings/profile/python_stack.hpp"
#include "bindings/python/numpy_api.hpp"
#include "bindings/python/topics.hpp"
#include "observe/profile.hpp"

namespace numpool::bindings {
namespace {

using observe::Frame;
using observe::Profile;
using observe::Site;

/// An estimate as a whole number. Sums of differences may be a little below 0.
py::int_ whole(double number) {
    return py::int_{static_cast<std::int64_t>(std::llround(std::fmax(number, 0)))};
}

py::dict to_dict(const observe::ProfileFigures& figures) {
    py::dict made;
    made["mean"] = figures.mean;
    made["seconds"] = figures.seconds;
    made["live"] = whole(figures.live_bytes);
    made["peak"] = whole(figures.peak_bytes);
    made["total"] = whole(figures.total_bytes);
    made["count"] = whole(figures.total_blocks);
    made["samples"] = figures.samples;
    made["lost"] = figures.lost;
    return made;
}

py::tuple to_frames(std::span<const Frame> frames) {
    py::tuple made{frames.size()};
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const auto code = py::reinterpret_borrow<py::object>(
            static_cast<PyObject*>(const_cast<void*>(frames[i].code)));
        made[i] = py::make_tuple(code, frames[i].instruction);
    }
    return made;
}

py::dict to_dict(const Site& site, std::span<const Frame> frames) {
    py::list endings;
    for (const observe::Ending& one : site.endings)
        endings.append(py::make_tuple(one.instruction, whole(one.bytes), whole(one.blocks)));
    py::dict made;
    made["frames"] = to_frames(frames);
    made["shown"] = site.shown_frame;
    made["live"] = whole(site.live_bytes);
    made["live_count"] = whole(site.live_blocks);
    made["peak"] = whole(site.peak_bytes);
    made["total"] = whole(site.total_bytes);
    made["count"] = whole(site.total_blocks);
    made["ended"] = site.ended_blocks;
    made["seconds"] = site.seconds;
    made["endings"] = endings;
    return made;
}

py::tuple snapshot() {
    const observe::ProfileSnapshot all = Profile::instance().snapshot();
    py::dict stacks;
    for (std::uint32_t i = 0; i < all.sites.size(); ++i) {
        if (all.sites[i].total_blocks <= 0) continue;
        stacks[py::int_{i}] = to_dict(all.sites[i], all.stacks.frames_of(i));
    }
    py::list live;
    for (const observe::LiveSample& one : all.live) {
        live.append(py::make_tuple(reinterpret_cast<std::uintptr_t>(one.block), one.bytes,
                                   one.age_seconds, one.stack));
    }
    return py::make_tuple(to_dict(all.figures), stacks, live);
}

}  // namespace

void register_profile(py::module_& module) {
    module.def(
        "_profile_begin",
        [](std::size_t mean, std::uint64_t seed) {
            require_numpy();
            Profile::instance().begin(mean, seed, python_surroundings());
            renew_all_functions();
        },
        py::arg("mean"), py::arg("seed"), py::pos_only(), "_profile_begin(mean, seed, /)\n--\n\n");
    module.def(
        "_profile_end",
        [] {
            Profile::instance().end();
            renew_all_functions();
        },
        "_profile_end()\n--\n\n");
    module.def(
        "_is_installed", [] { return ProcessHandler::serving() != nullptr; },
        "_is_installed()\n--\n\nWhether a pool serves the whole process.");
    module.def("_profile_runs", &Profile::runs, "_profile_runs()\n--\n\n");
    module.def("_profile_snapshot", &snapshot, "_profile_snapshot()\n--\n\n");
    module.def(
        "_profile_mark",
        [] {
            const observe::ProfileMark mark = Profile::instance().mark();
            py::dict made = to_dict(mark.figures);
            made["recent_peak"] = whole(mark.recent_peak);
            return made;
        },
        "_profile_mark()\n--\n\n");
}

}  // namespace numpool::bindings
