#pragma once

#include <memory>
#include <utility>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// A page source and, where it has to end some time, what keeps it.
class SourceHandle {
  public:
    /// One that outlives the handle.
    SourceHandle(PageSource& source) noexcept : source_{&source} {}  // NOLINT: a source is one.
    explicit SourceHandle(std::shared_ptr<PageSource> source) noexcept
        : source_{source.get()}, kept_{std::move(source)} {}

    PageSource& operator*() const noexcept { return *source_; }
    PageSource* operator->() const noexcept { return source_; }

    /// Whether it is kept by its users: it may then draw on a pool of theirs.
    bool is_kept() const noexcept { return kept_ != nullptr; }

  private:
    PageSource* source_;
    std::shared_ptr<PageSource> kept_;
};

}  // namespace numpool::pages
