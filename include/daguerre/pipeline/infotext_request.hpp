#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/request.hpp"

namespace daguerre {

/// What a picture's settings' text asks for.
struct InfotextRequest {
  Request request;
  std::string model;         ///< that the picture was made with, as people call it; empty: not told
  bool needs_image = false;  ///< the picture was made from another one, which the text does not hold
  bool needs_mask = false;
  // By name, for whoever has the files: LoRAs with their weights, and textual inversions.
  std::vector<LoraMention> loras;
  std::vector<std::string> embeddings;
  /// What is not repeated, a line each: keys that are not known, values that are not understood, inputs that
  /// the text names and does not hold.
  std::vector<std::string> notes;
};

/// What each key of a settings' text ("Steps", "Mask blur" …) sets. A value: a host, or another part of the
/// library, adds its own rows to a copy of the standard table.
///
///     auto keys = daguerre::InfotextKeys::standard();
///     keys.add("Palette", [](const auto& reading, const std::string& value) { … reading.result.request … });
class InfotextKeys {
 public:
  /// The text that is read, and what it becomes.
  struct Reading {
    const Infotext& infotext;
    InfotextRequest& result;

    /// Another key's value; nullptr where it is not there.
    const std::string* find(std::string_view key) const noexcept;
    /// Says that something is not repeated.
    void note(std::string what) const { result.notes.push_back(std::move(what)); }
    // The value as a number; nullopt, with a note, where it is none.
    std::optional<double> number(std::string_view key, const std::string& value) const;
    std::optional<Index> integer(std::string_view key, const std::string& value) const;
    /// "512x768" as width and height, likewise.
    std::optional<std::pair<Index, Index>> size(std::string_view key, const std::string& value) const;
  };
  using Set = std::function<void(const Reading& reading, const std::string& value)>;

  /// The web UI's keys that mean something here, and those that this library writes.
  static InfotextKeys standard();
  /// Replaces the row of that key.
  void add(std::string key, Set set);
  /// A key that says nothing about the picture: it is passed over in silence.
  void ignore(std::string key);
  /// The request that repeats what `infotext` describes, as far as it can be: every key is read in the order
  /// of the text. Without a key "RNG" the web UI means the random numbers of a graphics card.
  InfotextRequest read(const Infotext& infotext) const;

 private:
  std::map<std::string, Set, std::less<>> rows_;
};

/// The same with the standard table. A picture of `Result::save_png` is so made again byte for byte, by the
/// same model on the same machine, given the pictures that it was made from.
InfotextRequest request_from_infotext(const Infotext& infotext);

}  // namespace daguerre
