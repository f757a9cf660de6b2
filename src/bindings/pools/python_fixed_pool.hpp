#pragma once

#include <span>

#include "bindings/pools/drop_notice.hpp"
#include "bindings/pools/waiting.hpp"
#include "bindings/python/checks.hpp"
#include "bindings/python/python_pool.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"

namespace numpool::bindings {

/// A fixed pool with a Python function that constructs its blocks.
class FixedPool final : public threads::SharedFixedPool, public WaitedPool {
  public:
    FixedPool(const threads::SharedFixedPoolOptions& options, pages::SourceHandle source,
              py::object init)
        : SharedFixedPool{options, std::move(source)},
          init_{std::move(init)},
          hands_out_plainly_{!init_} {}

    /// Has its blocks checked; the options it was made with have room for that.
    void add_checks(const threads::CheckedBlocksOptions& options);

    /// A Buffer on an acquired block; calls `init` if the block is not constructed. Where that
    /// fails, the block goes back as not constructed, and the error is thrown.
    PyObject* hand_out(Block block) override;
    /// A block that became free when the checks gave back what they kept; empty where none did.
    Block acquire_kept();
    /// `try_acquire_many`, where need be with what the checks keep.
    bool acquire_all(std::span<Block> blocks);

    /// What to do where there is no block at once.
    static constexpr const char* usual_advice =
        ": release one, wait with acquire(timeout=...), or allow more with max_blocks";

    /// The Exhausted of a request for so many blocks, with `advice` on what to do.
    [[noreturn]] void throw_exhausted(std::size_t wanted, const std::string& advice) override;

    PyObject* init() const noexcept { return init_.ptr(); }
    /// The Python object goes, so only blocks lead to the pool. Only the pool keeps `init`, and
    /// `init` may keep blocks: the garbage collector could not see that cycle. So a pool with an
    /// init closes and drops it. A caller that reaches it through a block finds it closed.
    void end_python_object() noexcept;

  private:
    ~FixedPool() override;

    PyObject* hand_out_with_care(Block block);
    PyObject* construct(PyObject* buffer);
    void only_blocks_left() noexcept override;
    /// Warns, later, of blocks that are out while the pool is dropped.
    void note_drop() noexcept;

    py::object init_;
    /// There is no `init`, and nothing is checked.
    bool hands_out_plainly_;
    DropNotice notice_;
};

}  // namespace numpool::bindings

NUMPOOL_REQUIRE_INITIALISED(numpool::bindings::FixedPool)
