#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/sha256.hpp"
#include "daguerre/evaluation/shard_reader.hpp"
#include "daguerre/media/infotext.hpp"
#include "evaluation/picture_source.hpp"

namespace daguerre::evaluation {
namespace {

namespace fs = std::filesystem;

constexpr const char* shards_speaker = "picture_set";

bool is_shard(const fs::path& path) {
  std::error_code error;
  return path.extension() == ".tar" && fs::is_regular_file(path, error);
}

class PictureShards final : public PictureSource {
 public:
  /// In the order of the files' names, and of each one's entries.
  explicit PictureShards(std::vector<fs::path> files) {
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      shards_.push_back(ShardReader::open(file));
      const auto entries = shards_.back().entries();
      for (std::size_t i = 0; i < entries.size(); ++i)
        if (has_picture_extension(entries[i].name)) places_.push_back({shards_.size() - 1, i});
    }
  }

  Index size() const noexcept override { return static_cast<Index>(places_.size()); }
  std::string name(Index index) const override {
    return shard(index).path().filename().string() + "/" + entry(index).name;
  }
  Image read(Index index) const override {
    return Image::decode(shard(index).read(entry(index)), name(index));
  }
  std::optional<std::string> prompt(Index index) const override {
    if (const auto* text = shard(index).beside(entry(index), ".txt")) {
      auto prompt = shard(index).read_text(*text);
      prompt.erase(prompt.find_last_not_of(" \t\r\n") + 1);
      return prompt;
    }
    if (!entry(index).name.ends_with(".png")) return std::nullopt;
    for (const auto& [keyword, text] : decode_png_text(shard(index).read(entry(index)), name(index)))
      if (keyword == "parameters") return parse_infotext(text).prompt;
    return std::nullopt;
  }
  std::string fingerprint() const override {
    Sha256 hash;
    const auto add = [&](const std::string& text) {
      hash.add(std::as_bytes(std::span<const char>(text.c_str(), text.size() + 1)));
    };
    for (const auto& shard : shards_) {
      std::error_code error;
      add(shard.path().filename().string());
      add(std::to_string(fs::file_size(shard.path(), error)));
      add(std::to_string(fs::last_write_time(shard.path(), error).time_since_epoch().count()));
    }
    return hash.hex();
  }

 private:
  struct Place {
    std::size_t shard = 0, entry = 0;
  };
  const Place& place(Index index) const { return places_[static_cast<std::size_t>(index)]; }
  const ShardReader& shard(Index index) const { return shards_[place(index).shard]; }
  const ShardEntry& entry(Index index) const { return shard(index).entries()[place(index).entry]; }

  std::vector<ShardReader> shards_;
  std::vector<Place> places_;
};

}  // namespace

std::shared_ptr<const PictureSource> open_picture_shards(const fs::path& path) {
  if (is_shard(path)) return std::make_shared<const PictureShards>(std::vector<fs::path>{path});
  std::error_code error;
  if (!fs::is_directory(path, error)) return nullptr;
  std::vector<fs::path> files;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    if (is_shard(entry->path())) files.push_back(entry->path());
  if (error) throw FileError(shards_speaker, path.string() + ": cannot be read: " + error.message(), path);
  if (files.empty()) return nullptr;
  return std::make_shared<const PictureShards>(std::move(files));
}

}  // namespace daguerre::evaluation
