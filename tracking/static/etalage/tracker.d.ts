/** Types of tracker.js, for editors. Properties are those of the Segment e-commerce specification, version 2. */

export interface Product {
  product_id: string;
  sku?: string;
  name?: string;
  brand?: string;
  category?: string;
  variant?: string;
  price?: number;
  currency?: string;
  quantity?: number;
  position?: number;
  coupon?: string;
  url?: string;
  image_url?: string;
}

/** Amounts are in units of the currency: 19.99. */
export interface Order {
  order_id: string;
  products: Product[];
  total?: number;
  subtotal?: number;
  shipping?: number;
  tax?: number;
  discount?: number;
  coupon?: string;
  /** ISO 4217: "EUR" */
  currency?: string;
  payment_method?: string;
}

/** What `<script type="application/json" id="etalage-page">` may hold. Each part that is there is told as its event. */
export interface Page {
  /** Kind of page: "Home", "Product", "Category", … */
  name?: string;
  /** Product Viewed */
  product?: Product;
  /** Product List Viewed */
  list?: { list_id?: string; category?: string; products?: Product[] };
  /** Products Searched */
  search?: { query: string; products?: Product[] };
  /** Cart Viewed */
  cart?: { cart_id?: string; products: Product[] };
  /** Checkout Started */
  checkout?: { order_id?: string; products?: Product[]; value?: number; currency?: string };
  /** Order Completed. Stays unconfirmed until the shop's server tells the same order_id with its secret key. */
  order?: Order;
  /** Who is logged in, with the HMAC-SHA256 of the id made by the shop's server. Never on a page that is cached for all. */
  user?: { id: string; signature: string };
}

/** Events that the tracker does not see by itself, with what they must carry. Any other name may be told too. */
export interface Events {
  "Product Added": Product;
  "Product Removed": Product;
  "Product Added to Wishlist": Product;
  "Product Removed from Wishlist": Product;
  "Product Shared": Product;
  "Product Reviewed": Product & { rating?: number };
  "Product List Filtered": { list_id?: string; category?: string; products?: Product[] };
  "Coupon Applied": { coupon_id?: string; order_id?: string; discount?: number };
  "Checkout Step Completed": { checkout_id?: string; step?: number };
  "Order Completed": Order;
}

/**
 * Nothing happens while the visitor permits nothing. Events go in batches, within three seconds; `isUrgent` sends at once,
 * for what happens just before the page goes.
 */
export function track<Name extends keyof Events>(event: Name, properties: Events[Name], isUrgent?: boolean): void;
export function track(event: string, properties?: Record<string, unknown>, isUrgent?: boolean): void;

/**
 * Tells a page view and what the page is about; without an argument, what `#etalage-page` holds. Addresses that change through
 * `history` are told without it.
 */
export function page(about?: Page): void;

/** Names the customer. `signature`: HMAC-SHA256 of the id with the store's signing secret, in hex, made by the shop's server. */
export function identify(id: string, signature: string, traits?: Record<string, unknown>): void;

/** Whether the visitor permits that anything is sent. */
export function isPermitted(): boolean;
