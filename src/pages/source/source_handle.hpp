#pragma once

#include <memory>
#include <utility>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// Refers to a page source, and keeps it alive if it is shared.
class SourceHandle {
  public:
    /// For a source that outlives the handle.
    SourceHandle(PageSource& source) noexcept : source_{&source} {}  // NOLINT: a source is one.
    explicit SourceHandle(std::shared_ptr<PageSource> source) noexcept
        : source_{source.get()}, kept_{std::move(source)} {}

    PageSource& operator*() const noexcept { return *source_; }
    PageSource* operator->() const noexcept { return source_; }

    /// Whether handles keep the source alive. Such a source may draw on a pool.
    bool is_kept() const noexcept { return kept_ != nullptr; }

  private:
    PageSource* source_;
    std::shared_ptr<PageSource> kept_;
};

}  // namespace numpool::pages
