#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/files.hpp"
#include "core/sha256.hpp"
#include "daguerre/media/infotext.hpp"
#include "evaluation/picture_source.hpp"

namespace daguerre::evaluation {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view folder_name = "picture_set";

/// In UTF-8, with `/`.
std::string generic_name(const fs::path& path) {
  const auto text = path.generic_u8string();
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

struct PictureFile {
  std::string name;
  fs::path path;
};

class PictureFolder final : public PictureSource {
 public:
  explicit PictureFolder(const fs::path& folder) {
    std::error_code error;
    fs::recursive_directory_iterator entry(folder, error);
    for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
      // What begins with a dot is hidden: systems leave such files beside pictures.
      const bool is_hidden = entry->path().filename().string().starts_with('.');
      std::error_code no_matter;
      if (entry->is_directory(no_matter)) {
        if (is_hidden) entry.disable_recursion_pending();
      } else if (!is_hidden && has_picture_extension(entry->path())) {
        files_.push_back({generic_name(entry->path().lexically_relative(folder)), entry->path()});
      }
    }
    if (error) throw FileError(folder_name, folder.string() + ": cannot be read: " + error.message(), folder);
    std::sort(files_.begin(), files_.end(),
              [](const PictureFile& a, const PictureFile& b) { return a.name < b.name; });
  }

  Index size() const noexcept override { return static_cast<Index>(files_.size()); }
  std::string name(Index index) const override { return file(index).name; }
  Image read(Index index) const override { return Image::load(file(index).path); }
  std::optional<std::string> prompt(Index index) const override {
    auto beside = file(index).path;
    beside.replace_extension(".txt");
    std::error_code error;
    constexpr std::uintmax_t most = 1 << 20;
    if (fs::is_regular_file(beside, error)) {
      const auto bytes = read_file(folder_name, beside, most);
      std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      const auto end = text.find_last_not_of(" \t\r\n");
      text.erase(end == std::string::npos ? 0 : end + 1);
      return text;
    }
    if (file(index).path.extension() != ".png") return std::nullopt;
    for (const auto& [keyword, text] : read_png_text(file(index).path))
      if (keyword == "parameters") return parse_infotext(text).prompt;
    return std::nullopt;
  }
  std::string fingerprint() const override {
    Sha256 hash;
    const auto add = [&](const std::string& text) {
      hash.add(std::as_bytes(std::span<const char>(text.c_str(), text.size() + 1)));
    };
    for (const auto& picture : files_) {
      std::error_code error;
      add(picture.name);
      add(std::to_string(fs::file_size(picture.path, error)));
      add(std::to_string(fs::last_write_time(picture.path, error).time_since_epoch().count()));
    }
    return hash.hex();
  }

 private:
  const PictureFile& file(Index index) const { return files_[static_cast<std::size_t>(index)]; }

  std::vector<PictureFile> files_;
};

}  // namespace

bool has_picture_extension(const fs::path& file) {
  constexpr std::array<std::string_view, 13> extensions{".png",  ".jpg", ".jpeg", ".bmp", ".gif",
                                                        ".webp", ".tif", ".tiff", ".ppm", ".pgm",
                                                        ".pbm",  ".pnm", ".jpe"};
  auto extension = file.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

std::shared_ptr<const PictureSource> open_picture_folder(const fs::path& folder) {
  return std::make_shared<const PictureFolder>(folder);
}

}  // namespace daguerre::evaluation
