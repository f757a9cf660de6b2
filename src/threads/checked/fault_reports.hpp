#pragma once

namespace numpool::threads {

/// While one of these lives, an access to the guards of a block, or to a block after its release,
/// is reported on standard error before the process ends by SIGSEGV.
///
/// Every fault is then passed on to the handler that was there before, like faulthandler's.
class FaultReports {
  public:
    FaultReports();
    FaultReports(const FaultReports&) = delete;
    FaultReports& operator=(const FaultReports&) = delete;
    ~FaultReports();

    /// Sets the handler again where the program has set another one since.
    static void renew() noexcept;
};

}  // namespace numpool::threads
