#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "support/files.hpp"

namespace daguerre::test {

/// A copy of a recorded model folder, without its runs, to be changed as people's folders are.
class ModelCopy {
 public:
  /// `name` is a folder of tests/data/golden/pipelines.
  explicit ModelCopy(const std::string& name);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  /// Changes a JSON file.
  void edit(const std::string& file, const std::function<void(nlohmann::json&)>& change) const;
  /// Sets the keys of `changes` in a JSON file.
  void set(const std::string& file, const nlohmann::json& changes) const;
  nlohmann::json read(const std::string& file) const;
  void write(const std::string& file, const std::string& content) const;
  void remove(const std::string& name) const;
  void move(const std::string& from, const std::string& to) const;
  /// Writes a safetensors file anew with other names for its tensors; an empty name leaves one out.
  void rename_tensors(const std::string& file,
                      const std::function<std::string(const std::string&)>& name) const;

 private:
  TempFolder folder_;
  std::filesystem::path path_;
};

}  // namespace daguerre::test
