#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include <daguerre/core/shape.hpp>

namespace daguerre::study {

using Json = nlohmann::ordered_json;

/// The finished cells of a table (a sampler, a number of steps, what was measured), kept in a JSON file from
/// cell to cell.
class Results {
 public:
  /// Goes on from `path` if it is there. Throws ArgumentError when it was made with other settings.
  Results(std::string path, const std::string& measure, const Json& settings);
  bool has(const std::string& sampler, int steps) const;
  /// Prints the cell and writes the file. Throws FileError.
  void add(Json cell);

 private:
  std::string path_;
  Json all_;
};

/// A cell as the command line names it.
struct Cell {
  std::string sampler;
  int steps = 0;
};
/// "ddim:20"; throws ArgumentError for anything else.
Cell cell_called(const std::string& text);
/// For CLI11: what is wrong with the name of a cell, or nothing.
std::string valid_cell(const std::string& text);

/// Tells on the terminal how many of `count` pictures of a cell are done.
std::function<void(Index)> progress_of(const std::string& cell, std::size_t count);

}  // namespace daguerre::study
