#include "evaluation/temporary_folder.hpp"

#include <random>
#include <string>
#include <system_error>

#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {

TemporaryFolder::TemporaryFolder() {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto parent = fs::temp_directory_path(error);
  if (error) throw FileError("job", "there is no folder for temporary files: " + error.message());
  std::random_device random;
  constexpr int tries = 16;
  for (int i = 0; i < tries; ++i) {
    const auto path = parent / ("daguerre-" + std::to_string(random()) + "-" + std::to_string(random()));
    if (fs::create_directory(path, error)) {
      fs::permissions(path, fs::perms::owner_all, error);
      path_ = path;
      return;
    }
    if (error) break;
  }
  throw FileError("job", parent.string() + ": no folder can be made in it: " + error.message(), parent);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace daguerre::evaluation
