#include "pools/moving/span_mover.hpp"

#include "pools/moving/content_mover.hpp"
#include "pools/moving/span_filler.hpp"

namespace numpool::pools {
namespace {

/// Joins the three classes of this sub-room behind the interface that a span bank knows.
class SpanMover final : public SpanMoving {
  public:
    SpanMover(pages::PageSource& source, FreeSpans& free, bool huge_pages) noexcept
        : mover_{source, free}, filler_{mover_, free, huge_pages} {}

    bool fill(Span& span, std::byte* from) noexcept override { return filler_.fill(span, from); }
    bool move_contents(Span& from, Span& to) noexcept override {
        return content_mover_.move(from, to);
    }
    bool moves() const noexcept override { return mover_.moves(); }
    std::size_t moved_bytes() const noexcept override { return mover_.moved_bytes(); }

  private:
    PageMover mover_;
    SpanFiller filler_;
    ContentMover content_mover_{mover_};
};

}  // namespace

std::unique_ptr<SpanMoving> move_pages(pages::PageSource& source, FreeSpans& free,
                                       bool huge_pages) {
    return std::make_unique<SpanMover>(source, free, huge_pages);
}

}  // namespace numpool::pools
