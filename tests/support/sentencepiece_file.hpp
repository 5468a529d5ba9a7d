#pragma once

#include <string>
#include <string_view>

namespace daguerre::test {

/// Writes a sentencepiece model, field by field.
class SentencePieceFile {
 public:
  enum Type { normal = 1, unknown, control, user_defined, unused, byte };

  void add(std::string_view piece, float score, Type type = normal);
  /// `<0x0A>`, of that byte.
  void add_byte(unsigned char value);
  int model_type = 1;
  bool byte_fallback = false;
  std::string charsmap;

  std::string bytes() const;

 private:
  std::string pieces_;
};

}  // namespace daguerre::test
