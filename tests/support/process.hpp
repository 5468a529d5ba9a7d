#pragma once

namespace daguerre::test {

/// Memory of this process in RAM, in MB; 0 where the system does not tell.
double resident_megabytes();
/// Processor time that this process has used.
double process_seconds();

/// By how much the memory of this process grew at most, from here on.
class PeakMemory {
 public:
  PeakMemory();
  double growth_megabytes() const;

 private:
  double before_;
};

}  // namespace daguerre::test
