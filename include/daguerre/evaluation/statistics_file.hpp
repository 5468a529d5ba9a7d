#pragma once

#include <filesystem>
#include <string>

#include "daguerre/metrics/feature_statistics.hpp"

namespace daguerre::evaluation {

class FeatureNetwork;

/// Mean and covariance of the features of a set of pictures, and where they come from.
struct FeatureStatisticsFile {
  metrics::Gaussian gaussian;
  Index count = 0;  ///< of pictures; 0: not known
  // Of the network (FeatureNetwork); empty where the file does not say.
  std::string kind, definition, fingerprint;
  std::string name;  ///< the file's, for messages and reports

  /// Reads an `.npz` with `mu` and `sigma` as pytorch-fid writes them (stored or compressed), or a
  /// safetensors file that `save` wrote. Throws FileError; FormatError for other contents, shapes and numbers
  /// that are not finite.
  static FeatureStatisticsFile load(const std::filesystem::path& path);
  /// Writes F64: as `.npz` (mu and sigma alone, which pytorch-fid reads), else as safetensors, with
  /// everything. Throws FileError.
  void save(const std::filesystem::path& path) const;

  /// Throws ArgumentError, saying both, where these are not features of that network; where the file does not
  /// know its network only the dimension is compared, and what to warn of is returned (else nothing).
  std::string check(const FeatureNetwork& network) const;
};

/// Whether there is a file of statistics (by its name and contents), and not a set of pictures.
bool is_statistics_file(const std::filesystem::path& path);

}  // namespace daguerre::evaluation
