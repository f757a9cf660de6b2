#pragma once

#include "base/gate/heavy_barrier.hpp"

namespace numpool {

/// Shuts gates and waits until all their owners are outside: what they did inside has happened
/// then. `for_each_gate(visit)` calls `visit` with each gate. The caller holds the lock under which
/// alone these gates are shut and opened, and is inside none of them.
template <class ForEachGate>
void shut_gates(ForEachGate for_each_gate) noexcept {
    for_each_gate([](auto& gate) { gate.shut(); });
    heavy_barrier();
    for_each_gate([](const auto& gate) { gate.wait_outside(); });
}

}  // namespace numpool
