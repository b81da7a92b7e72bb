"""What a request may say, by dialect and route: tables of fields, and how a body is made anew from them."""
